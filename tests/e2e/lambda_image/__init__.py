"""The image that ``sam local invoke`` runs the functions in, or a stand-in where it cannot be pulled."""
