# node-gyp's door to the one native build: CMake does the work, in the same folder.
{
  "targets": [
    {
      "target_name": "sluice",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake",
          "inputs": ["CMakeLists.txt", "native/sources.cmake", "<(module_root_dir)/scripts/build.mjs"],
          "outputs": ["<(PRODUCT_DIR)/cmake-build-is-incremental-by-itself"],
          "action": ["node", "<(module_root_dir)/scripts/build.mjs", "--native"]
        }
      ]
    }
  ]
}
