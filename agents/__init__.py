"""What should exist: agents, skills, attachments, the environment, and the drivers that make CMA match."""
