"""`weave`, the command line client. It knows HTTP and nothing else of the product: no Django, no module of ours."""
