# The wire's messages and services, generated into the build folder from proto/*.proto. Its
# headers are SYSTEM includes: our warnings are for our code alone.

find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
# The machine's own programs, also where another's are built.
find_program(DASHF_GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)

set(proto_out ${CMAKE_BINARY_DIR}/proto)
set(generated)
foreach(name dashf operator)
  add_custom_command(
    OUTPUT ${proto_out}/${name}.pb.cc ${proto_out}/${name}.grpc.pb.cc ${proto_out}/${name}.pb.h
      ${proto_out}/${name}.grpc.pb.h
    COMMAND ${CMAKE_COMMAND} -E make_directory ${proto_out}
    COMMAND ${Protobuf_PROTOC_EXECUTABLE} --proto_path=${PROJECT_SOURCE_DIR}/proto --cpp_out=${proto_out}
      --grpc_out=${proto_out} --plugin=protoc-gen-grpc=${DASHF_GRPC_CPP_PLUGIN}
      ${PROJECT_SOURCE_DIR}/proto/${name}.proto
    DEPENDS ${PROJECT_SOURCE_DIR}/proto/${name}.proto
    VERBATIM)
  list(APPEND generated ${proto_out}/${name}.pb.cc ${proto_out}/${name}.grpc.pb.cc)
endforeach()
add_library(dashf_proto STATIC ${generated})
target_include_directories(dashf_proto SYSTEM PUBLIC ${proto_out})
find_package(absl CONFIG REQUIRED)
target_link_libraries(dashf_proto PUBLIC gRPC::grpc++ protobuf::libprotobuf absl::synchronization)
