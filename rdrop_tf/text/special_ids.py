"""The ids that mean the same in every vocabulary of this package."""

# Padding is 0, so that `ids != 0` is Keras' mask.
PAD_ID, START_ID, END_ID, UNKNOWN_ID = 0, 1, 2, 3
NUMBER_OF_SPECIAL_IDS = 4
