"""What happens by itself: deadlines, work that is repeated until it holds, and the end of what is kept."""
