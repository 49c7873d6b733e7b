// The networks, one function each; a file a family. They take the image and return the scores.
#pragma once

#include "zoo/builder.h"

namespace eke {

ValueId vgg16(NetworkBuilder& b, ValueId image);               // vgg.cpp
ValueId resnet18(NetworkBuilder& b, ValueId image);            // resnet.cpp
ValueId resnet34(NetworkBuilder& b, ValueId image);            // resnet.cpp
ValueId resnet50(NetworkBuilder& b, ValueId image);            // resnet.cpp
ValueId senet50(NetworkBuilder& b, ValueId image);             // resnet.cpp
ValueId resnet8(NetworkBuilder& b, ValueId image);             // cifar_resnet.cpp
ValueId resnet20(NetworkBuilder& b, ValueId image);            // cifar_resnet.cpp
ValueId mobilenet_v1(NetworkBuilder& b, ValueId image);        // mobilenet.cpp
ValueId mobilenet_v2(NetworkBuilder& b, ValueId image);        // inverted_residual.cpp
ValueId mobilenet_v3_small(NetworkBuilder& b, ValueId image);  // mobilenet_v3.cpp
ValueId mobilenet_v3_large(NetworkBuilder& b, ValueId image);  // mobilenet_v3.cpp
ValueId mobilefacenet(NetworkBuilder& b, ValueId image);       // inverted_residual.cpp
ValueId efficientnet_lite0(NetworkBuilder& b, ValueId image);  // inverted_residual.cpp
ValueId squeezenet(NetworkBuilder& b, ValueId image);          // squeezenet.cpp
ValueId inception_v3(NetworkBuilder& b, ValueId image);        // inception.cpp

}  // namespace eke
