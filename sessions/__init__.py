"""What is running: invoking agents, the relay that follows CMA, events, tickets and sockets."""
