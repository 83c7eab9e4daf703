"""Who is who: the secrets of a stack and the credentials of its services."""
