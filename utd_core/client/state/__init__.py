"""State that an application reads, awaits and listens to, and how it follows the engine."""
