"""What can be wrong with an installation: facts are gathered, each within a limit, and a registry judges them."""
