"""Who is who: the credentials of services, generated, stored with mode 600, rotated."""
