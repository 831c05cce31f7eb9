"""From sockets to requests: the server, and the protocol on a connection."""
