#!/bin/sh
# The entry point of TensorFlow Serving's images: MODEL_NAME and MODEL_BASE_PATH say what is served; arguments are
# further flags.
exec tensorflow_model_server --port=8500 --rest_api_port=8501 \
  --model_name="${MODEL_NAME:-model}" --model_base_path="${MODEL_BASE_PATH:-/models}/${MODEL_NAME:-model}" "$@"
