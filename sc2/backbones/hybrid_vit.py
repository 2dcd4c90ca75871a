"""Hybrid vision transformers of timm: a ResNetV2 in front of a ViT (arXiv 2010.11929, 2106.10270; docs/papers.md#cuts).

The papers' `vit_small_r26_s32_224` has a stem and four stages of two blocks. Cuts lie only in the ResNetV2: its stages
are layer1, layer2 …, and the transformer is the head.
"""

import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from sc2.backbones.base import StagedModel


def network(num_classes: int, variant: str = "vit_small_r26_s32_224", img_size: int = 224) -> nn.Module:
    """Return timm's hybrid ViT with random weights.

    Args:
        num_classes: Outputs of the classifier.
        variant: timm's name: a `vit_*_r*` with a class token.
        img_size: Side of the square images, pixels; the position embedding is made for it.
    """
    model: nn.Module = timm.create_model(variant, pretrained=False, num_classes=num_classes, img_size=img_size)
    return model


def build(num_classes: int, variant: str = "vit_small_r26_s32_224", img_size: int = 224) -> StagedModel:
    """Return the network as stages, with random weights."""
    return staged(network(num_classes, variant, img_size))


def staged(model: VisionTransformer) -> StagedModel:
    """Return timm's hybrid ViT as stages that share its weights: its ResNetV2's are layer1, layer2 ….

    Stage 0 of the ResNetV2 is layer1, so that the papers' cut, which drops stem and stage 0, is `layer1`.
    """
    convolutional = model.patch_embed.backbone
    layers = {f"layer{number}": stage.blocks for number, stage in enumerate(convolutional.stages, start=1)}
    return StagedModel({"stem": convolutional.stem, **layers, "head": TransformerHead(model)})


class TransformerHead(nn.Module):
    """The transformer of a hybrid ViT: features [B, C, H, W] of the ResNetV2 to logits [B, K].

    The tokens are the projected features after a class token, whose final state is classified.
    """

    def __init__(self, model: VisionTransformer) -> None:
        super().__init__()
        # Identities in these models: the ResNetV2 normalises inside its blocks and has no classifier of its own.
        self.features_norm = model.patch_embed.backbone.norm
        self.features_head = model.patch_embed.backbone.head
        self.proj = model.patch_embed.proj
        self.cls_token, self.pos_embed = model.cls_token, model.pos_embed
        self.embedding_dropout = nn.Sequential(model.pos_drop, model.patch_drop, model.norm_pre)
        self.blocks, self.norm = model.blocks, model.norm
        self.classifier_norm = nn.Sequential(model.fc_norm, model.head_drop)
        self.classifier = model.head

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, K] for x [B, C, H, W]; H × W must be the size that the position embedding was made for."""
        patches = self.proj(self.features_head(self.features_norm(x))).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)
        states = self.norm(self.blocks(self.embedding_dropout(tokens + self.pos_embed)))
        logits: Tensor = self.classifier(self.classifier_norm(states[:, 0]))
        return logits
