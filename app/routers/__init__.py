"""One function per route: it parses, calls a service, and answers. No queries, no rules.

`ROUTERS` in app/main.py lists the modules; each has the paths of its routes.
"""
