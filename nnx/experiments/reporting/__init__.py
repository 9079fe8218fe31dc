"""From results to a report: one HTML page, Markdown, JSON and pictures."""
