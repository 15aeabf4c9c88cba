"""A record of a benchmark, for people: tables, plots, and one HTML page that holds it all."""
