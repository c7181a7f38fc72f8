"""The authenticating proxy: pure decisions about requests, and the thin layer that passes them on to Unix sockets."""
