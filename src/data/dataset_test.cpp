#include "data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "base/error.h"
#include "data/csv.h"
#include "data/npy.h"
#include "data/test_files.h"

namespace eke {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> ids(const Dataset& dataset) {
  std::vector<std::string> result;
  for (const Sample& sample : dataset.samples()) result.push_back(sample.id);
  return result;
}

std::vector<int> labels(const Dataset& dataset) {
  std::vector<int> result;
  for (const Sample& sample : dataset.samples()) result.push_back(sample.label);
  return result;
}

std::string error_of(const std::string& path, const DatasetOptions& options = {}) {
  try {
    open_dataset(path, options);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string big_endian(std::uint32_t value) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(value >> shift);
  return text;
}

std::string idx(const std::vector<std::uint32_t>& extents, const std::string& values) {
  std::string bytes = std::string("\0\0\x08", 3) + static_cast<char>(extents.size());
  for (std::uint32_t extent : extents) bytes += big_endian(extent);
  return bytes + values;
}

void write_gz(const std::string& path, const std::string& bytes) {
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
}

TEST(ParseCsv, FieldsAndLines) {
  const struct {
    const char* text;
    std::vector<std::vector<std::string>> rows;
  } kRows[] = {
      {"", {}},
      {"a,b\n\n  \nc,d", {{"a", "b"}, {"c", "d"}}},
      {"a , b\r\nc,\r\n", {{"a", "b"}, {"c", ""}}},
      {"\xef\xbb\xbf"
       "a,b",
       {{"a", "b"}}},
      {"\"a,1\",\"say \"\"x\"\"\"\n", {{"a,1", "say \"x\""}}},
      {" \"a\" , b", {{"a", "b"}}},
      {",", {{"", ""}}},
      {"\"a\"", {{"a"}}},
      {"x,\"a\",y", {{"x", "a", "y"}}},
  };
  for (const auto& row : kRows) {
    std::vector<std::vector<std::string>> fields;
    for (const CsvRow& parsed : parse_csv(row.text)) fields.push_back(parsed.fields);
    EXPECT_EQ(fields, row.rows) << row.text;
  }
  EXPECT_EQ(parse_csv("a\n\nb")[1].line, 3u);
  EXPECT_THROW(parse_csv("\"a"), Error);
  EXPECT_THROW(parse_csv("\"a\"b,c"), Error);
}

TEST(OpenDataset, FolderPerClass) {
  TestFolder folder;
  for (const char* name :
       {"dog/2.pgm", "dog/1.PGM", "cat/x.pgm", "dog/notes.txt", ".hidden/y.pgm", "README"}) {
    folder.write(name, flat_pgm(2, 3, 9));
  }
  const Dataset dataset = open_dataset(folder.path());
  EXPECT_EQ(dataset.kind(), DatasetKind::folders);
  EXPECT_THAT(dataset.classes(), ElementsAre("cat", "dog"));
  EXPECT_THAT(ids(dataset), ElementsAre("cat/x.pgm", "dog/1.PGM", "dog/2.pgm"));
  EXPECT_THAT(labels(dataset), ElementsAre(0, 1, 1));
  EXPECT_EQ(dataset.load(2), (Image{2, 3, 1, std::vector<std::uint8_t>(6, 9)}));
  EXPECT_TRUE(dataset.has_labels());
}

TEST(OpenDataset, FoldersTakeTheClassesOfTheModel) {
  TestFolder folder;
  folder.write("dog/1.pgm", flat_pgm(1, 1, 1));
  folder.write("cat/1.pgm", flat_pgm(1, 1, 1));
  const Dataset dataset = open_dataset(folder.path(), {{"wolf", "dog", "cat"}, ""});
  EXPECT_THAT(labels(dataset), ElementsAre(2, 1));
  EXPECT_THAT(dataset.classes(), ElementsAre("wolf", "dog", "cat"));
  EXPECT_THAT(error_of(folder.path(), {{"dog"}, ""}), HasSubstr("class 'cat' is not among"));
}

TEST(OpenDataset, FoldersNamedByNumbersAreNumbers) {
  TestFolder folder;
  for (const char* name : {"0/a.pgm", "2/a.pgm", "10/a.pgm"}) folder.write(name, flat_pgm(1, 1, 1));
  const Dataset dataset = open_dataset(folder.path());
  EXPECT_THAT(ids(dataset), ElementsAre("0/a.pgm", "10/a.pgm", "2/a.pgm"));
  EXPECT_THAT(labels(dataset), ElementsAre(0, 10, 2));
  EXPECT_EQ(dataset.classes().size(), 11u);
}

TEST(OpenDataset, ListOfFilesAndClasses) {
  TestFolder folder;
  folder.write("images/b.pgm", flat_pgm(1, 1, 1));
  folder.write("images/a.pgm", flat_pgm(1, 1, 2));
  const std::string csv = folder.write("labels.csv", "file,class\nb.pgm,3\na.pgm,0\n");
  for (const std::string& path : {csv, folder.path()}) {
    const Dataset dataset = open_dataset(path);
    EXPECT_EQ(dataset.kind(), DatasetKind::list);
    EXPECT_THAT(ids(dataset), ElementsAre("b.pgm", "a.pgm"));
    EXPECT_THAT(labels(dataset), ElementsAre(3, 0));
    EXPECT_THAT(dataset.classes(), ElementsAre("0", "1", "2", "3"));
    EXPECT_EQ(dataset.load(1).pixels[0], 2);
  }
  folder.write("classes.txt", "zero\none\r\ntwo\nthree");
  EXPECT_THAT(open_dataset(csv).classes(), ElementsAre("zero", "one", "two", "three"));
  const std::string names = folder.write("n.csv", "images/a.pgm, owl\nimages/b.pgm, bee\n");
  EXPECT_THAT(labels(open_dataset(names)), ElementsAre(1, 0));
}

TEST(OpenDataset, Pairs) {
  TestFolder folder;
  for (const char* name : {"p/1.pgm", "p/2.pgm", "q/1.pgm"}) folder.write(name, flat_pgm(1, 1, name[2]));
  const std::string csv = folder.write(
      "pairs.csv", "image_a,image_b,same,reference_score\nq/1.pgm,p/1.pgm,0,-0.25\np/2.pgm,p/1.pgm,1,\n");
  const Dataset dataset = open_dataset(csv);
  EXPECT_EQ(dataset.kind(), DatasetKind::pairs);
  EXPECT_THAT(ids(dataset), ElementsAre("p/1.pgm", "p/2.pgm", "q/1.pgm"));
  ASSERT_EQ(dataset.pairs().size(), 2u);
  EXPECT_EQ(dataset.pairs()[0].a, 2u);
  EXPECT_EQ(dataset.pairs()[0].b, 0u);
  EXPECT_FALSE(dataset.pairs()[0].same);
  EXPECT_EQ(dataset.pairs()[0].reference_score, -0.25f);
  EXPECT_TRUE(dataset.pairs()[1].same);
  EXPECT_FALSE(dataset.pairs()[1].reference_score.has_value());
  EXPECT_FALSE(dataset.has_labels());

  const Dataset second = dataset.take_pairs(1, 5);
  EXPECT_THAT(ids(second), ElementsAre("p/2.pgm", "p/1.pgm"));
  EXPECT_EQ(second.pairs()[0].b, 1u);
  EXPECT_EQ(dataset.head(2).pairs().size(), 1u);
  EXPECT_THROW(dataset.take_pairs(2, 1), Error);
}

TEST(OpenDataset, Idx) {
  TestFolder folder;
  folder.write("t-images-idx3-ubyte", idx({2, 1, 3}, "abcdef"));
  const std::string images = folder.path("t-images-idx3-ubyte");
  EXPECT_FALSE(open_dataset(images).has_labels());
  folder.write("t-labels-idx1-ubyte", idx({2}, std::string("\x04\x01", 2)));
  for (const std::string& path : {images, folder.path()}) {
    const Dataset dataset = open_dataset(path);
    EXPECT_EQ(dataset.kind(), DatasetKind::idx);
    EXPECT_THAT(labels(dataset), ElementsAre(4, 1));
    EXPECT_EQ(dataset.classes().size(), 5u);
    EXPECT_EQ(dataset.load(1), (Image{3, 1, 1, {'d', 'e', 'f'}}));
    EXPECT_EQ(dataset.samples()[1].id, "t-images-idx3-ubyte[1]");
  }
  write_gz(folder.path("z-images-idx3-ubyte.gz"), idx({1, 2, 2}, "wxyz"));
  EXPECT_EQ(open_dataset(folder.path("z-images-idx3-ubyte.gz")).load(0),
            (Image{2, 2, 1, {'w', 'x', 'y', 'z'}}));
  EXPECT_THAT(error_of(folder.path()), HasSubstr("several sets"));
}

TEST(OpenDataset, RefusesBadIdx) {
  TestFolder folder;
  const std::string whole = idx({2, 1, 3}, "abcdef");
  for (std::size_t size = 4; size < whole.size(); ++size) {
    EXPECT_THAT(error_of(folder.write("cut", whole.substr(0, size))), HasSubstr("truncated")) << size;
  }
  const struct {
    std::string bytes;
    const char* says;
  } kRows[] = {
      {idx({4294967295u, 4294967295u, 4294967295u, 3}, "x"), ""},
      {idx({60000, 28, 28}, "x"), "truncated"},
      {idx({0, 28, 28}, ""), "no image"},
      {idx({1, 1, 1, 2}, "ab"), "2 channels"},
      {idx({3}, "abc"), "1 dimensions"},
      {std::string("\0\0\x0d\x03", 4) + "xxxxxxxxxxxxxxxx", "type 0xd"},
  };
  for (const auto& row : kRows) {
    const std::string path = folder.write("bad", row.bytes);
    EXPECT_THAT(error_of(path), ::testing::AllOf(HasSubstr("bad"), HasSubstr(row.says)));
  }
  write_gz(folder.path("z.gz"), whole);
  std::string cut(
      (std::istreambuf_iterator<char>(std::ifstream(folder.path("z.gz"), std::ios::binary).rdbuf())), {});
  EXPECT_THROW(open_dataset(folder.write("cut.gz", cut.substr(0, cut.size() - 12))), Error);
}

TEST(OpenDataset, IdxLabelsMustFit) {
  TestFolder folder;
  const std::string images = folder.write("x-images-idx3", idx({2, 1, 1}, "ab"));
  const std::string wrong = folder.write("wrong", idx({3}, "abc"));
  EXPECT_THAT(error_of(images, {{}, wrong}), HasSubstr("3 labels for 2 images"));
  const std::string right = folder.write("right", idx({2}, std::string("\0\x02", 2)));
  EXPECT_THAT(labels(open_dataset(images, {{}, right})), ElementsAre(0, 2));
  EXPECT_THAT(error_of(images, {{"a", "b"}, right}), HasSubstr("beyond the 2 classes"));
}

TEST(OpenDataset, NpyOfImages) {
  TestFolder folder;
  const std::string path = folder.path("x.npy");
  write_npy(path, Tensor::from<double>({2, 1, 3}, {0, 0.5, 1, 0.25, 0, 1}).view());
  const Dataset dataset = open_dataset(path);
  EXPECT_EQ(dataset.kind(), DatasetKind::array);
  EXPECT_EQ(dataset.size(), 2u);
  EXPECT_EQ(dataset.load(0), (Image{3, 1, 1, {0, 128, 255}}));
  write_npy(path, Tensor::from<float>({1, 1, 1, 3}, {0, 100, 255}).view());
  EXPECT_EQ(open_dataset(path).load(0), (Image{1, 1, 3, {0, 100, 255}}));
  write_npy(path, Tensor::from<std::uint8_t>({1, 2, 1}, {3, 4}).view());
  EXPECT_EQ(open_dataset(path).load(0), (Image{1, 2, 1, {3, 4}}));
  const Tensor bad[] = {Tensor::from<float>({1, 1, 1}, {-1}),
                        Tensor::from<float>({1, 1, 1}, {256}),
                        Tensor::from<float>({1, 1, 1}, {NAN}),
                        Tensor::from<float>({4}, {1, 1, 1, 1}),
                        Tensor::from<std::int32_t>({1, 1, 1}, {1}),
                        Tensor(DType::f32, {0, 2, 2}),
                        Tensor(DType::u8, {1, 2, 2, 4})};
  for (const Tensor& tensor : bad) {
    write_npy(path, tensor.view());
    EXPECT_THAT(error_of(path), HasSubstr("x.npy")) << to_string(tensor.type());
  }
}

TEST(OpenDataset, PlainImages) {
  TestFolder folder;
  folder.write("b.pgm", flat_pgm(1, 1, 2));
  folder.write("a.pgm", flat_pgm(1, 1, 1));
  const Dataset dataset = open_dataset(folder.path());
  EXPECT_EQ(dataset.kind(), DatasetKind::images);
  EXPECT_THAT(ids(dataset), ElementsAre("a.pgm", "b.pgm"));
  EXPECT_THAT(labels(dataset), ElementsAre(-1, -1));
  const Dataset one = open_dataset(folder.path("b.pgm"));
  EXPECT_THAT(ids(one), ElementsAre("b.pgm"));
  EXPECT_EQ(one.load(0).pixels[0], 2);
}

TEST(OpenDataset, SaysWhatIsWrongAndWhatToDo) {
  TestFolder folder;
  folder.write("empty/.keep", "");
  folder.write("texts/a.txt", "x");
  folder.write("mixed/a.pgm", flat_pgm(1, 1, 1));
  folder.write("mixed/c/a.pgm", flat_pgm(1, 1, 1));
  folder.write("hole/a/x.pgm", flat_pgm(1, 1, 1));
  folder.write("hole/b/x.txt", "x");
  folder.write("a.pgm", flat_pgm(1, 1, 1));
  folder.write("missing.csv", "file,class\na.pgm,0\nb.pgm,1\nc.pgm,1\n");
  folder.write("columns.csv", "a.pgm\n");
  folder.write("ragged.csv", "a.pgm,1\na.pgm\n");
  folder.write("header.csv", "file,class\n");
  folder.write("same.csv", "a.pgm,a.pgm,2\n");
  folder.write("score.csv", "a.pgm,a.pgm,1,x\n");
  folder.write("blank.csv", "");
  folder.write("binary.bin",
               "\x7f"
               "ELF\n\n");
  const struct {
    const char* path;
    std::vector<const char*> says;
  } kRows[] = {
      {"nothing", {"does not exist", "check the path"}},
      {"empty", {"holds no image", ".jpg", "name the folder"}},
      {"texts", {"holds no image"}},
      {"mixed", {"'a.pgm' lies beside class folders"}},
      {"hole", {"class folder 'b' holds no image"}},
      {"missing.csv", {"2 of 3 images are missing", "'b.pgm'"}},
      {"columns.csv", {"line 1", "file,class"}},
      {"ragged.csv", {"line 2", "file,class"}},
      {"header.csv", {"no rows"}},
      {"blank.csv", {"no rows"}},
      {"same.csv", {"line 1", "'2'"}},
      {"score.csv", {"line 1", "'x' is not a number"}},
      {"binary.bin", {"line 1"}},
  };
  for (const auto& row : kRows) {
    const std::string message = error_of(folder.path(row.path));
    EXPECT_THAT(message, HasSubstr(row.path));
    for (const char* part : row.says) EXPECT_THAT(message, HasSubstr(part)) << row.path;
  }
}

TEST(Dataset, TakesParts) {
  TestFolder folder;
  for (int i = 0; i < 10; ++i) folder.write(std::to_string(i) + ".pgm", flat_pgm(1, 1, i));
  const Dataset dataset = open_dataset(folder.path());
  EXPECT_THAT(ids(dataset.head(2)), ElementsAre("0.pgm", "1.pgm"));
  EXPECT_EQ(dataset.head(100).size(), 10u);
  EXPECT_THAT(ids(dataset.take(1, 3, 4)), ElementsAre("1.pgm", "5.pgm", "9.pgm"));
  EXPECT_EQ(dataset.take(1, 3, 4).load(1).pixels[0], 5);
  EXPECT_THAT(ids(dataset.take(9, 5, SIZE_MAX)), ElementsAre("9.pgm"));
  EXPECT_THROW(dataset.take(10, 1), Error);
  EXPECT_THROW(dataset.take(0, 0), Error);
  EXPECT_THROW(dataset.take(0, 1, 0), Error);
  const Dataset::Split split = dataset.split(3);
  EXPECT_EQ(split.chosen.size(), 3u);
  EXPECT_EQ(split.rest.size(), 7u);
  EXPECT_TRUE(shared_images(split.chosen, split.rest).empty());
  EXPECT_THROW(dataset.split(10), Error);
  EXPECT_THROW(dataset.split(0), Error);
}

TEST(Dataset, FindsTheSameImageUnderAnotherName) {
  TestFolder one, two;
  one.write("a.pgm", flat_pgm(1, 1, 1));
  one.write("b.pgm", flat_pgm(1, 1, 2));
  two.write("c.pgm", flat_pgm(1, 1, 2));
  two.write("d.pgm", flat_pgm(2, 1, 2));
  EXPECT_THAT(shared_images(open_dataset(one.path()), open_dataset(two.path())), ElementsAre(1));
}

TEST(OpenDataset, PartsOfAFolderOfIdxFiles) {
  TestFolder folder;
  folder.write("train-images-idx3-ubyte", idx({2, 1, 1}, "ab"));
  folder.write("train-labels-idx1-ubyte", idx({2}, std::string("\0\1", 2)));
  folder.write("t10k-images-idx3-ubyte", idx({1, 1, 1}, "c"));
  folder.write("t10k-labels-idx1-ubyte", idx({1}, std::string("\1", 1)));
  EXPECT_EQ(open_dataset(folder.path(), {.part = "train"}).size(), 2u);
  EXPECT_EQ(open_dataset(folder.path(), {.part = "test"}).size(), 1u);
  EXPECT_THAT(error_of(folder.path()), HasSubstr("several sets"));
}

TEST(OpenDataset, InstalledFashionMnist) {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist")) {
    GTEST_SKIP() << "the package dataset-fashion-mnist is not installed";
  }
  const Dataset train = open_dataset("fashion-mnist", {.part = "train"});
  EXPECT_EQ(train.size(), 60000u);
  EXPECT_EQ(train.classes().size(), 10u);
  EXPECT_EQ(train.load(0).width, 28);
  EXPECT_EQ(open_dataset("fashion-mnist", {.part = "test"}).size(), 10000u);
}

}  // namespace
}  // namespace eke
