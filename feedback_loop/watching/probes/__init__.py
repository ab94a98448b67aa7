"""What programs ask to know whether all is well."""
