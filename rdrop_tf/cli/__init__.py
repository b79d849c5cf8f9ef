"""The `rdrop` command, thin: what it does is in `rdrop_tf.tasks`.

Nothing here imports Keras or TensorFlow before a command needs them.
"""
