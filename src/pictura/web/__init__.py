"""The pages of the studio: a process of its own, which knows the API over HTTP alone."""
