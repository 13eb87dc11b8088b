"""Console views of approvals: the inbox, and the policies that fill it."""
