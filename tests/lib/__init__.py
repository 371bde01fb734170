"""Starters of real servers, scripted peers and clients for the integration tests."""
