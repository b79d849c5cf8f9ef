"""Tests of `rdrop_tf.losses`, file by file, on every backend."""

import pytest

pytest.register_assert_rewrite(f"{__name__}.divergence_laws")
