"""Pages for people who follow a link of a notification: plain HTML, without scripts. Texts of agents are hostile."""
