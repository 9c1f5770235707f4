"""``vrn app``: the same job on a web page of this machine."""

from __future__ import annotations

import argparse
import threading


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 lets other machines in (default: 127.0.0.1)"
    )
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (default: 7860)")
    text = "vrn_open (default), vrn_guided_open, vrn_multitask_open, or a file: ours, or the released VRN's .pth"
    parser.add_argument("--weights", default="vrn_open", metavar="FILE", help=text)


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C.

    Raises:
        ValueError: Gradio is not installed, or a port that is none.
        OSError: the port is taken.
    """
    if not 0 < arguments.port < 65536:
        raise ValueError(f"--port must be between 1 and 65535, got {arguments.port}; name another one.")
    try:
        from vrnlib.commands.page import serving
    except ModuleNotFoundError as error:
        raise ValueError(f"The app needs the package {error.name}; type pip install 'vrn-workbook[app]'.") from error
    from vrnlib.landmarks import official
    from vrnlib.landmarks.detectors import Detector, FaceAlignmentDetector, OpenDetector, TDDFADetector
    from vrnlib.reconstruct import open_networks

    networks = open_networks(vrn=arguments.weights)
    detectors: dict[str, Detector] = {"open": OpenDetector(networks.fan), "tddfa": TDDFADetector()}
    if official.is_at_hand():
        detectors["fan"] = FaceAlignmentDetector()
    with serving(networks, detectors, host=arguments.host, port=arguments.port) as address:
        print(f"The page is at {address} (Ctrl-C ends it).", flush=True)
        threading.Event().wait()
    return 0
