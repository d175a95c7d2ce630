"""What is in a set of images, before anything is trained: what is wrong, there twice, torn apart or given away."""
