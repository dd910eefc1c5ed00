"""MediaPipe graphs that read the body, a hand or a face in the square they are shown, as MediaPipe writes graphs.

They are the networks of its own graphs without the search before them and the memory behind them.
"""

ENDS = """
input_stream: "IMAGE:image" input_stream: "ROI:roi"
"""
# One thread on purpose: two halve the time of a picture on an idle machine (12 ms instead of 21), but wait for each
# other busily, and on a machine with other work to do a picture then took 0.7 s. Reading two pictures at once does not.
BODY = ENDS + """
input_side_packet: "ENABLE_SEGMENTATION:enable_segmentation"
output_stream: "LANDMARKS:landmarks" output_stream: "AUXILIARY_LANDMARKS:circle"
output_stream: "WORLD_LANDMARKS:world" output_stream: "SEGMENTATION_MASK:mask"
node { calculator: "ImagePropertiesCalculator" input_stream: "IMAGE_CPU:image" output_stream: "SIZE:size" }
node {
  calculator: "ImageToTensorCalculator"
  input_stream: "IMAGE:image" input_stream: "NORM_RECT:roi"
  output_stream: "TENSORS:seen" output_stream: "LETTERBOX_PADDING:padding" output_stream: "MATRIX:matrix"
  options { [mediapipe.ImageToTensorCalculatorOptions.ext] {
    output_tensor_width: 256 output_tensor_height: 256 keep_aspect_ratio: true
    output_tensor_float_range { min: 0 max: 1 } } }
}
node {
  calculator: "InferenceCalculatorCpu" input_stream: "TENSORS:seen" output_stream: "TENSORS:told"
  options { [mediapipe.InferenceCalculatorOptions.ext] {
    model_path: "mediapipe/modules/pose_landmark/pose_landmark_full.tflite"
    delegate { xnnpack { num_threads: 1 } } } }
}
node {
  calculator: "TensorsToPoseLandmarksAndSegmentation"
  input_side_packet: "ENABLE_SEGMENTATION:enable_segmentation" input_stream: "TENSORS:told"
  output_stream: "LANDMARKS:l" output_stream: "AUXILIARY_LANDMARKS:a"
  output_stream: "WORLD_LANDMARKS:w" output_stream: "SEGMENTATION_MASK:m"
}
node {
  calculator: "PoseLandmarksAndSegmentationInverseProjection"
  input_stream: "IMAGE_SIZE:size" input_stream: "NORM_RECT:roi" input_stream: "LETTERBOX_PADDING:padding"
  input_stream: "MATRIX:matrix" input_stream: "LANDMARKS:l" input_stream: "AUXILIARY_LANDMARKS:a"
  input_stream: "WORLD_LANDMARKS:w" input_stream: "SEGMENTATION_MASK:m"
  output_stream: "LANDMARKS:landmarks" output_stream: "AUXILIARY_LANDMARKS:circle"
  output_stream: "WORLD_LANDMARKS:world" output_stream: "SEGMENTATION_MASK:mask"
}
"""
HAND = ENDS + """
output_stream: "LANDMARKS:landmarks" output_stream: "WORLD_LANDMARKS:world" output_stream: "HANDEDNESS:side"
node { calculator: "HandLandmarkCpu" input_stream: "IMAGE:image" input_stream: "ROI:roi"
       output_stream: "LANDMARKS:landmarks" output_stream: "WORLD_LANDMARKS:world" output_stream: "HANDEDNESS:side" }
"""
FACE = ENDS + """
output_stream: "LANDMARKS:landmarks"
node { calculator: "FaceLandmarkCpu" input_stream: "IMAGE:image" input_stream: "ROI:roi"
       output_stream: "LANDMARKS:landmarks" }
"""
