"""Methods compared over seeds on a pair of domains: Tables I and III."""
