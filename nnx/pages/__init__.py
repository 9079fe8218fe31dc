"""HTML that needs nothing else: no network and no script, pictures inside, and every text escaped."""
