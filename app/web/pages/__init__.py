"""HTML pages for people who follow a link in a notification.

They have no scripts, and texts of agents are not trusted.
"""
