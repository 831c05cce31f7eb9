"""What a person looks at before a model goes on a production line: one HTML file, and the same figures as JSON."""
