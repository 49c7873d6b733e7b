# cmake -D CONSTANT=name -D FILE=text -D SOURCE=out.cpp -P embed_text.cmake
# Writes a C++ source that holds the text of a file; as numbers, since text may hold anything.
file(READ ${FILE} bytes HEX)
string(REGEX REPLACE "(..)" "\\\\x\\1" bytes "${bytes}")
file(WRITE ${SOURCE} "#include \"report/embedded.h\"
namespace eke::report {
static constexpr char kBytes[] = \"${bytes}\";
const std::string_view ${CONSTANT}(kBytes, sizeof(kBytes) - 1);
}  // namespace eke::report
")
