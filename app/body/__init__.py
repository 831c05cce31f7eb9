"""From the bytes of a request's body to an encoded image or a JSON object."""
