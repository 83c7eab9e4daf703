"""The proxies that the edge is measured against, each with the configuration its own experts would write."""
