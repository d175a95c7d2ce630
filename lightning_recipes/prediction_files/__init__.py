"""What a model says of any number of pictures, written as it comes: tables, sorted copies, the least sure."""
