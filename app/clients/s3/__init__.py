"""The object store: any that speaks S3."""
