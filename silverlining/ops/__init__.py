"""What is done to a host: converge, check, play a lesson, tear down."""
