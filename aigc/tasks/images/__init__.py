"""What tasks that generate images share."""
