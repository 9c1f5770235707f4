import numpy as np
from numpy.typing import NDArray

def suppress(
    x0: NDArray[np.float32],
    y0: NDArray[np.float32],
    x1: NDArray[np.float32],
    y1: NDArray[np.float32],
    area: NDArray[np.float32],
    threshold: float | np.float32,
    suppressed: NDArray[np.intc],
) -> None: ...
