# The web page of `vrn app` in a container:  docker build -t vrn .  &&  docker run --rm -p 127.0.0.1:7860:7860 vrn
# TORCH_INDEX may name PyTorch's CPU index, so that no CUDA comes along (gigabytes):  --build-arg TORCH_INDEX=…
FROM python:3.12-slim AS build
ARG TORCH_INDEX=
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN python -m venv /opt/vrn \
    && /opt/vrn/bin/pip install --no-cache-dir ${TORCH_INDEX:+--index-url $TORCH_INDEX} "$(grep '^torch==' constraints.txt)" \
    && /opt/vrn/bin/pip install --no-cache-dir -c constraints.txt ".[app]"

FROM python:3.12-slim
# What OpenCV's wheel and the compiled core expect of the system.
RUN apt-get update && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home vrn
COPY --from=build /opt/vrn /opt/vrn
USER vrn
# The networks are exported for ONNX Runtime once, here and not at the first visitor's photo.
RUN /opt/vrn/bin/python -c "from skimage.data import astronaut; \
    from vrnlib.landmarks.detectors import TDDFADetector; from vrnlib.reconstruct import reconstruct; \
    reconstruct(astronaut()); TDDFADetector()(astronaut())"
EXPOSE 7860
CMD ["/opt/vrn/bin/vrn", "app", "--host", "0.0.0.0"]
