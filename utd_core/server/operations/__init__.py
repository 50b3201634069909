"""What a server tells about itself: health, logs, figures, traces."""
