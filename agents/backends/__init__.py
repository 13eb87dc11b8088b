"""What runs the tools of the templates, one file a kind. Async throughout; called by the fleet and by deploying."""
