"""The two ways to learn: regression of patches, and fine-tuning."""
