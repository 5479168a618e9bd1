"""The microservice chassis: what is the same in every service, and knows nothing of what they do."""
