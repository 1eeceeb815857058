# The wire's messages and, where the runtime is built, services, generated into the build folder from
# proto/*.proto. Their headers are SYSTEM includes: our warnings are for our code alone.

find_package(Protobuf REQUIRED)
set(proto_out ${CMAKE_BINARY_DIR}/proto)
file(MAKE_DIRECTORY ${proto_out})

# One generated pair of files per proto file; `suffix` is what they are named behind it.
function(dashf_generated out suffix)
  set(sources)
  foreach(name dashf operator)
    set(stem ${proto_out}/${name}.${suffix})
    add_custom_command(
      OUTPUT ${stem}.cc ${stem}.h
      COMMAND ${Protobuf_PROTOC_EXECUTABLE} --proto_path=${PROJECT_SOURCE_DIR}/proto ${ARGN}
        ${PROJECT_SOURCE_DIR}/proto/${name}.proto
      DEPENDS ${PROJECT_SOURCE_DIR}/proto/${name}.proto
      VERBATIM)
    list(APPEND sources ${stem}.cc ${stem}.h)
  endforeach()
  set(${out} ${sources} PARENT_SCOPE)
endfunction()

dashf_generated(messages pb --cpp_out=${proto_out})
add_library(dashf_messages STATIC ${messages})
target_include_directories(dashf_messages SYSTEM PUBLIC ${proto_out})
target_link_libraries(dashf_messages PUBLIC protobuf::libprotobuf)

if(DASHF_RUNTIME)
  find_package(gRPC CONFIG REQUIRED)
  find_package(absl CONFIG REQUIRED)
  # The machine's own program, also where another's are built.
  find_program(DASHF_GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)
  dashf_generated(services grpc.pb --grpc_out=${proto_out}
    --plugin=protoc-gen-grpc=${DASHF_GRPC_CPP_PLUGIN})
  add_library(dashf_proto STATIC ${services})
  target_link_libraries(dashf_proto PUBLIC dashf_messages gRPC::grpc++ absl::synchronization)
endif()
