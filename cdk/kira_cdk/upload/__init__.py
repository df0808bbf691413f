"""What runs during a deploy to upload the dashboard."""
