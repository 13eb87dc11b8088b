"""What every edge shares: request ids, who asks, one error shape, lists that page or stream."""
