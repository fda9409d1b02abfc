"""Video clips, frame by frame: read, stabilise, write with alpha. The only room that uses PyAV."""
