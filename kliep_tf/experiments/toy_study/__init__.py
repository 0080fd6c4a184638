"""The toy experiment, Table II and Fig. 3: samples, GANs, distances, page."""
